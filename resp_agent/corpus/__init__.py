"""Raw recordings to Parquet, and Parquet to what models read."""
