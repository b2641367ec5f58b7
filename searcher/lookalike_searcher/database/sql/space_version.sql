AND (SELECT xmin FROM lookalike_space WHERE ctid = {place} AND id = {id}) = {number}
