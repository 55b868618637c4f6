"""What commands print: tables, JSON and CSV of results, with the facts that make a number comparable."""
