DROP TABLE {vectors}
