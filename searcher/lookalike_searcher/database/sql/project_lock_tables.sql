-- Waits for searches of one statement, which hold no advisory lock. It is the first of the project's tables that they lock, so
-- that whoever has it meets none of them in a deadlock.
LOCK TABLE {schema}.image IN ACCESS EXCLUSIVE MODE
