-- Names that only one may have are compared by NFKC and casefold, without invisible characters. Each
-- that is held gets that form besides its own; where two are held that are one by now, the older
-- stream has it, and the other keeps its own until it is renamed.

INSERT INTO ledger.claims (kind, name, stream_id)
SELECT DISTINCT ON (kind, folded) kind, folded, stream_id
  FROM (SELECT kind, stream_id, btrim(regexp_replace(regexp_replace(
                 lower(normalize(name, NFKC) COLLATE "C"),
                 '[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f'
                 '\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb'
                 '\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]', '', 'g'),
                 '\s+', ' ', 'g')) AS folded
          FROM ledger.claims
         WHERE kind IN ('department-name', 'role-name', 'email-template-name',
                        'sms-template-name')) held
 ORDER BY kind, folded, stream_id
ON CONFLICT DO NOTHING;
