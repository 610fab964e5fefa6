// Filters the table of services while one types.
