"""What the shop answers when Rattail asks; see ``[rattail]`` in rattail.conf."""

from rattail.auth import RattailAuthHandler


class ShopAuthHandler(RattailAuthHandler):
    """Answers what a user or a role may do."""

    def has_permission(self, *args, include_anonymous=True, **kwargs):
        # Tailbone's pages of users and roles still call "anyone" by its former name
        kwargs.setdefault("include_anyone", include_anonymous)
        return super().has_permission(*args, **kwargs)
