-- A random sample of the training table: steps and motion of one customer at one instant.
SELECT sensorreadingtime, distancefromobject, x, y, z, dt, "hour"
FROM machine_learning_curated
WHERE same_customer
ORDER BY random()
LIMIT 1000
