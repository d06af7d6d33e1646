-- draws_bar: whether DuckDB draws its progress bar for long statements
SELECT current_setting('enable_progress_bar');

-- draw_no_bar: turn the progress bar off for this connection
SET enable_progress_bar = FALSE;
