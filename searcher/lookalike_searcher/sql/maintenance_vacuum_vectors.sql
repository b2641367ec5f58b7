VACUUM {vectors}
