-- What tokens of claims are made of, beside the bus's secret. Written by the migration.
SELECT salt FROM token_salt
