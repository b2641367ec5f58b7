-- What re-ranking needs of each hit of the page. (No references are listed, but $3 must be named somewhere.)
SELECT page.image_id, page.distance, page.rank, page.product AS group_product, stored.vector
    FROM page
    JOIN {vectors} AS stored ON stored.image_id = page.image_id AND $3::bigint IS NOT NULL
