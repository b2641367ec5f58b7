SELECT count(*) FROM {vectors}
