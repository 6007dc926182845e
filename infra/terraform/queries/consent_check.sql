-- Rows of trusted and curated tables whose customer has no consent: the result must be empty.
WITH consenting AS (
    SELECT email FROM customer_trusted WHERE sharewithresearchasofdate > 0
),
curated_customer AS (
    SELECT customer.email
    FROM customer_curated AS customer
    JOIN consenting ON consenting.email = customer.email
)
SELECT 'customer_trusted' AS table_name, trusted.email AS customer, count(*) AS row_count
FROM customer_trusted AS trusted
WHERE trusted.sharewithresearchasofdate IS NULL OR trusted.sharewithresearchasofdate <= 0
GROUP BY trusted.email
UNION ALL
SELECT 'accelerometer_trusted', reading."user", count(*)
FROM accelerometer_trusted AS reading
LEFT JOIN consenting ON consenting.email = reading."user"
WHERE consenting.email IS NULL
GROUP BY reading."user"
UNION ALL
SELECT 'customer_curated', customer.email, count(*)
FROM customer_curated AS customer
LEFT JOIN consenting ON consenting.email = customer.email
WHERE consenting.email IS NULL
GROUP BY customer.email
UNION ALL
SELECT 'step_trainer_trusted', reading."user", count(*)
FROM step_trainer_trusted AS reading
LEFT JOIN curated_customer ON curated_customer.email = reading."user"
WHERE curated_customer.email IS NULL
GROUP BY reading."user"
ORDER BY table_name, customer
