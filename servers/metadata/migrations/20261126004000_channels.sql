-- Of several channels each has a transcript of its own, which now says of which it is. What there was before cannot be
-- told apart any more, and is of channel 0. The default is constant, so the table is not written anew.

-- migrate:up
SET LOCAL lock_timeout = '3s';
ALTER TABLE transcripts ADD COLUMN channel bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN transcripts.channel IS 'Of the audio, from 0; 0 where all channels were heard as one.';

-- migrate:down
SET LOCAL lock_timeout = '3s';
ALTER TABLE transcripts DROP COLUMN channel;
