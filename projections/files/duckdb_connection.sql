-- draws_bar: whether DuckDB draws a bar of its own for long statements
SELECT current_setting('enable_progress_bar');

-- draw_no_bar: for this connection
SET enable_progress_bar = FALSE;
