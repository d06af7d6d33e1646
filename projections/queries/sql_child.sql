-- settings: times are UTC, no progress bar is drawn, and no later statement can change a setting
SET TimeZone = 'UTC'; SET enable_progress_bar = FALSE; SET lock_configuration = TRUE;
