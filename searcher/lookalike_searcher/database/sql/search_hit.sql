-- What is shown of each hit of the page: a row for each of its references. (`id + 0`, as the planner, told not to sort, would
-- walk the index over ids to find an image's references in order.)
SELECT
        page.image_id, page.distance, page.rank, page.product AS group_product, image.sha256, image.width, image.height,
        listed.*, image.featureless
    FROM page
    JOIN {schema}.image ON image.id = page.image_id
    CROSS JOIN LATERAL (
        SELECT uri, product, variant, staged, labels, count(*) OVER () AS reference_count
        FROM {schema}.image_reference AS reference
        WHERE reference.image_id = page.image_id {of_product} AND {filter}
        ORDER BY id + 0
        LIMIT $3
    ) AS listed
