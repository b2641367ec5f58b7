SELECT reference.id, uri, product, variant, staged, labels, stamp, sha256
FROM {schema}.image_reference AS reference
JOIN {schema}.image ON image.id = reference.image_id
WHERE reference.id > $1 AND uri ^@ $2
ORDER BY reference.id
LIMIT $3
