-- Row counts of each landing file: rows = kept + excluded + quarantined.
-- A receipt says what became of the rows when the file was ingested.
SELECT
    source,
    receipts.landing.bucket AS landing_bucket,
    receipts.landing."key" AS landing_key,
    "rows" AS row_count,
    kept,
    "rows" - kept - quarantined AS excluded_count,
    excluded AS excluded_by_reason,
    quarantined,
    rejected AS quarantined_by_reason,
    undecodable
FROM receipts
ORDER BY source, landing_bucket, landing_key
