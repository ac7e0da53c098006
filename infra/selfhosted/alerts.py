"""Who is told when something goes wrong: the file that docker/postgres/watch reads in the backup container."""


def alert_file(alert: str) -> str:
    """A configuration of curl's for a URL, a secret that has no place on a command line; else a shell script."""
    if alert.startswith(("http://", "https://")):
        return f'url = "{alert}"\n'
    return f"{alert}\n" if alert else ""
