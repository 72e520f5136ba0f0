-- What a commit changed in the schema, beside the rows: a JSON array.
ALTER TABLE changes ADD COLUMN schema TEXT NOT NULL DEFAULT '[]';
