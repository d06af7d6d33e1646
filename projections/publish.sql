-- mark: a published file is for readers; whoever would project into it is refused
CREATE TABLE published AS SELECT now() AS published_at;
