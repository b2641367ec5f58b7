-- Whether the project is as it was read: an UPDATE moves a row, and gives it the number of its transaction.
ctid = {place} AND xmin = {number} AND id = {id}
