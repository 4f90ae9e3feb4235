"""Starting weights, learned on synthetic pictures: no scan of anyone is in them."""
