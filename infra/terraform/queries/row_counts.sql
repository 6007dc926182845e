-- Rows per table, landing to curated.
SELECT 1 AS step, 'customer_landing' AS table_name, count(*) AS row_count FROM customer_landing
UNION ALL
SELECT 1, 'accelerometer_landing', count(*) FROM accelerometer_landing
UNION ALL
SELECT 1, 'step_trainer_landing', count(*) FROM step_trainer_landing
UNION ALL
SELECT 2, 'customer_trusted', count(*) FROM customer_trusted
UNION ALL
SELECT 2, 'accelerometer_trusted', count(*) FROM accelerometer_trusted
UNION ALL
SELECT 3, 'customer_curated', count(*) FROM customer_curated
UNION ALL
SELECT 2, 'step_trainer_trusted', count(*) FROM step_trainer_trusted
UNION ALL
SELECT 3, 'machine_learning_curated', count(*) FROM machine_learning_curated
ORDER BY step, table_name
