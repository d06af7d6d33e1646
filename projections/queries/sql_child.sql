-- settings: times are UTC, no bar is drawn, and no statement changes a setting from here on
SET TimeZone = 'UTC'; SET enable_progress_bar = FALSE; SET lock_configuration = TRUE;
