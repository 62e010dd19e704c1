"""What the rig makes is what backup/ says."""

from drills.rig import Rig


def test_secrets_are_the_service_users_alone(made: Rig) -> None:
    file = made.config / "conf.d" / "secrets.conf"
    assert file.stat().st_mode & 0o777 == 0o600
    shown = (made.config / "pgbackrest.conf").read_text()
    for secret in (*made.passphrases, made.password):
        assert secret not in shown
