-- In the order in which searches take them: DROP SCHEMA has an order of its own, and would meet them in a deadlock.
LOCK TABLE {schema}.image, {schema}.image_reference IN ACCESS EXCLUSIVE MODE
