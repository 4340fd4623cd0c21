-- Recordings that were transcribed anew before their transcripts in whose place others count were told of: their version
-- counts on, so that what `ai2text reindex` tells of them is news to an index that knows them.

-- migrate:up
SET LOCAL lock_timeout = '3s';
UPDATE recordings SET version = version + 1
WHERE (tenant, recording_id) IN (SELECT tenant, recording_id FROM transcripts GROUP BY 1, 2, channel HAVING count(*) > 1);

-- migrate:down
SELECT;
