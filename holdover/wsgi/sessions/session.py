"""The session: what is read when it is used, and saved when it has changed."""

from __future__ import annotations

import logging
from contextlib import suppress

from holdover import errors
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.fields import by_field
from holdover.wsgi.sessions.headers import Headers, made_private
from holdover.wsgi.sessions.reading import ReadableSession
from holdover.wsgi.sessions.record import NO_CHANGES, Kept, Record
from holdover.wsgi.sessions.store import new_id

log = logging.getLogger("holdover")


class Session(ReadableSession):
    """What an application keeps for one browser from request to request.

    A mapping from texts to plain data: None, bool, numbers, texts, lists, and
    dictionaries of these (with ``codec="msgpack"`` bytes, too). It is read when it is
    first used; a request that does not use it pays nothing. `save` stores what this
    request has changed, field by field, over what other requests have saved meanwhile;
    of two that change the same field the last one wins. With ``auto`` it is saved
    before the headers go out, and once more after the body if that has changed it.

    If the backend cannot be asked, the session is empty and read-only: `is_available`
    is False, and whatever would change it raises `SessionUnavailable`.
    """

    # -- verbs -----------------------------------------------------------------

    def save(self) -> bool:
        """Store what has changed, now.

        Returns:
            False if the session has ended meanwhile, because another request has
            logged out or its time is over: nothing was stored, and it is empty now.

        Raises:
            UncacheableValue: A value is no plain data.
            SessionTooLarge: It does not fit into its cookie, or its backend.
            SessionTooLate: Its cookie would have to be set, and the headers are out.
            SessionUnavailable: The backend cannot be asked.
        """
        fields, now = self._writable(), self._terms.now()
        store = self._terms.store
        if self._kept is None or store.needs_cookie:
            self._require_headers()
        try:
            if self._kept is not None:
                return self._keep(store.update(self._kept, fields.changes(), now))
            record = Record(dict(fields.values), now, now)
            return self._keep(store.create(self.id, record))
        except errors.UncacheableValue as error:
            raise by_field(fields.values, error) from error

    def persist(self) -> None:
        """Do now what is done before the headers go out: save changes, note the use.

        Raises:
            Exception: See `save`.
        """
        if self.dirty():
            self.save()
        else:
            self._note_use()

    def delete(self) -> None:
        """End it: its record is removed at once, and the browser forgets the cookie.

        It is empty and new then. What requests that are still under way save into the
        old one is refused.

        Raises:
            SessionUnavailable: The backend could not be told. The browser forgets the
                cookie all the same, and this process goes on trying.
        """
        with suppress(SessionUnavailable):
            self._read()
        cookie, kept, failure = self._sent, self._kept, self._failure
        self._begin_anew()
        self._failure = None
        self._removed = cookie is not None or kept is not None
        if kept is not None or failure is not None:
            self._terms.store.remove(cookie or "", kept)
        if failure is not None and self._old is not None:
            self._is_moved = True  # to nowhere: its cookie goes all the same
            raise failure

    def invalidate(self) -> None:
        """Do as `delete`: end it, and go on with a new one that has another id."""
        self.delete()

    def regenerate_id(self) -> bool:
        """Give it a new id, store it under that, and remove the old record, at once.

        To be done whenever somebody's rights change; `bind` does it by itself.

        Returns:
            False if it has ended meanwhile; see `save`.

        Raises:
            Exception: See `save`.
        """
        return self._replace(None)

    def bind(self, user: str) -> bool:
        """Note who has logged in: under a new id, and with the absolute timeout anew.

        What another user had kept in the session is dropped.

        Args:
            user: What names the user for `Sessions.end_all`: a key, not an address.

        Returns:
            False if it has ended meanwhile; see `save`.

        Raises:
            Exception: See `save`.
        """
        _check_user(user)
        return self._replace(user)

    def revert(self) -> None:
        """Give up what was not saved; it is read again when it is used."""
        self._fields = self._failure = None

    def load(self) -> None:
        """Read what is stored now, giving up what was not saved.

        Raises:
            SessionUnavailable: With ``on_unavailable``, if the backend cannot be asked.
        """
        self.revert()
        self._read()

    def get_by_id(self, id: str) -> Session | None:  # noqa: A002 - Beaker's name
        """Give another session by its id; None if there is none, or no more.

        What is done to it reaches no cookie.

        Raises:
            SessionUnavailable: The backend cannot be asked.
        """
        terms = self._terms
        kept = terms.store.find(id, terms.now())
        if kept is None:
            return None
        found = Session(terms, "")
        found._accessed, found._sent = True, kept.cookie
        found._begin_anew(kept)
        return found

    # -- for whoever answers the request ---------------------------------------

    @property
    def set_cookie(self) -> str | None:
        """The value of the Set-Cookie header that the browser needs; None if none."""
        cookie, kept = self._terms.cookie, self._kept
        if kept is None:
            return cookie.removed() if self._removed else None
        is_known = kept.cookie == self._sent and not self._is_elsewhere
        if is_known and not (self._saved and cookie.is_lasting):
            return None
        return cookie.set_to(kept.cookie)

    def respond(self, headers: Headers) -> Headers:
        """Do what is due before *headers* go out, and give those that are to go.

        Raises:
            Exception: See `save`.
        """
        if not self._accessed:
            self._are_headers_out = True
            return headers
        self._are_headers_out = False  # an error page may take the place of another
        if self._terms.auto:
            self.persist()
        else:
            self._note_use()
        self._are_headers_out = True
        made = made_private(headers)
        if (cookie := self.set_cookie) is not None:
            made.append(("Set-Cookie", cookie))
        if (removed := self._old_removed()) is not None:
            made.append(("Set-Cookie", removed))
        return made

    def finish(self) -> None:
        """Save what has changed since the headers went out, or tell that it is lost."""
        if not self._accessed or not self._terms.auto or not self.dirty():
            return
        try:
            self.save()
        except errors.HoldoverError as error:
            log.warning("a session's last changes are lost: %s", error)

    def withdraw(self) -> Record | None:
        """Take it out of the store; None if it has ended meanwhile.

        For `Sessions.end_all`, which spares it: what ends all of a user's sessions
        must not find it, and whoever logs out until then has ended it.
        """
        fields, kept = self._writable(), self._kept
        if kept is None:
            return None
        self._require_headers()
        terms = self._terms
        record = terms.store.withdraw(kept, fields.changes(), terms.now())
        if record is None:
            self._begin_anew()
        return record

    def restore(self, record: Record) -> None:
        """Go on under a new id with what was withdrawn."""
        self._keep(self._terms.store.create(new_id(), record))

    # -- small steps -----------------------------------------------------------

    def _old_removed(self) -> str | None:
        """Give the header that takes the old cookie away, unless ours has its name."""
        old = self._terms.old
        if not self._is_moved or old is None:
            return None
        return None if old.cookie_name == self._terms.cookie.name else old.removed

    def _replace(self, user: str | None) -> bool:
        fields, terms = self._writable(), self._terms
        self._require_headers()
        now = terms.now()
        try:
            if self._kept is not None:
                changes = fields.changes()
                return self._keep(
                    terms.store.replace(self._kept, new_id(), changes, now, user)
                )
            self._new_id = ""
            if user is None:
                return True
            record = Record(dict(fields.values), now, now, user)
            return self._keep(terms.store.create(self.id, record))
        except errors.UncacheableValue as error:
            raise by_field(fields.values, error) from error

    def _keep(self, kept: Kept | None) -> bool:
        """Go on with what was stored; with a new session if this one has ended."""
        fields = self._fields
        if kept is None or fields is None:
            self._begin_anew()
            return False
        self._kept, self._saved = kept, True
        fields.saved_as(dict(kept.record.fields))
        return True

    def _note_use(self) -> None:
        """Store that it is in use, if that was noted too long ago."""
        kept, terms = self._kept, self._terms
        if kept is None or self._failure is not None or self._fields is None:
            return
        now = terms.now()
        if not kept.is_dated and not terms.timeouts.want_touch(kept.record, now):
            return
        if self.dirty():
            if terms.store.needs_cookie:
                return  # it is all in one, and not all of it is to be saved
            kept = kept._replace(held=None)  # what was read may have been changed
        with suppress(SessionUnavailable):  # at worst it ends a little early
            touched = terms.store.update(kept, NO_CHANGES, now)
            if touched is not None:
                self._kept, self._saved = touched, True


def _check_user(user: object) -> None:
    if not isinstance(user, str) or not user:
        raise errors.InvalidArgument(
            f"a user is named by a text that is not empty, got {user!r}"
        )
