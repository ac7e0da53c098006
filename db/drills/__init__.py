"""Restore drills: what is committed is noted outside the cluster, and a restored copy must show exactly that.

This is the program of the container `<stack>-drills`, which it reaches as files: the standard library and psycopg are
all it has, and nothing else of `db` may be imported.
"""
