-- mark: a published file is for readers; whoever would project into it is refused
CREATE TABLE published AS SELECT now() AS published_at;

-- attach: a copy, by an instance of its own: one that is opened by its path would be shared with
-- the copy that lay there before
ATTACH $path AS published (READ_ONLY);

-- use: its tables by name
USE published;
