"""What bots asks of its tables. All but signing in works inside `db.tenancy.tenant`."""
