"""Where rows come from: one file per kind of source, all of them streaming `Row`s."""
