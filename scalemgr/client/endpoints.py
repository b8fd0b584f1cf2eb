"""Twisted endpoints for an L{Address <scalemgr.client.address.Address>}, with TLS and without."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .address import Address

__all__ = ["ReadyEndpoint"]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@implementer(IStreamClientEndpoint)
class _Secured:
    """TLS. The files are read for each connection, since certificates are renewed."""

    def __init__(self, plain: IStreamClientEndpoint, address: Address) -> None:
        self._plain = plain
        self._address = address

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        address = self._address
        extra: dict[str, Any] = {"raiseMinimumTo": TLSVersion.TLSv1_2}
        trust = (
            platformTrust() if address.ca is None else trustRootFromCertificates(_certificates(address.ca.read_bytes()))
        )
        mine = None
        if address.certificate is not None:
            pem = address.certificate.read_bytes()
            mine = PrivateCertificate.loadPEM(pem + (b"" if address.key is None else b"\n" + address.key.read_bytes()))
            extra["extraCertChain"] = [certificate.original for certificate in _certificates(pem)[1:]]
        # It verifies the hostname, or the IP address, with service-identity.
        options = optionsForClientTLS(address.hostname, trust, mine, extraCertificateOptions=extra)
        connecting: Deferred[IProtocol] = wrapClientTLS(options, self._plain).connect(protocolFactory)
        return connecting


def _certificates(pem: bytes) -> list[Certificate]:
    found = [Certificate.loadPEM(each) for each in _PEM.findall(pem)]
    if not found:
        raise crypto.Error("there is no certificate in the file")
    return found


@implementer(IStreamClientEndpoint)
class ReadyEndpoint:
    """
    An endpoint whose connections are ready: C{prepare} has been done, and with TLS the peer has proved who it is.

    A L{ClientService <twisted.application.internet.ClientService>} takes a connection that is lost before it is
    prepared for one that it never had, so it is not shown any that is not.

    @param timeoutS: how long each step may take, in seconds.
    @param prepare: what is to be done first.
    @param failed: is told why there is no connection, each time there is none.
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        timeoutS: float,
        prepare: Callable[[], Awaitable[object]],
        failed: Callable[[Failure], object],
    ) -> None:
        plain = HostnameEndpoint(reactor, address.host, address.port, timeout=timeoutS)
        self._endpoint = _Secured(plain, address) if address.isTls else plain
        self._clock: IReactorTime = reactor
        self._address = address
        self._timeoutS = timeoutS
        self._prepare = prepare
        self._failed = failed

    def __repr__(self) -> str:
        return f"<{self._address}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory)).addErrback(self._note)

    def _note(self, failure: Failure) -> Failure:
        self._failed(failure)
        return failure

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        await self._prepare()
        connecting: Deferred[IProtocol] = self._endpoint.connect(Factory.forProtocol(_Link))
        link = await connecting.addTimeout(self._timeoutS, self._clock)
        assert isinstance(link, _Link)
        try:
            await link.ready.addTimeout(self._timeoutS, self._clock)
            if self._address.isTls:
                # Twisted has done so already; but a certificate that has no name at all it lets pass (26.10), for
                # service-identity has a word of its own for that. Not a byte was sent so far.
                self._address.check(link.certificate())
        except BaseException:
            link.abort()
            raise
        protocol = protocolFactory.buildProtocol(link.transport.getPeer())
        assert protocol is not None
        link.handOver(protocol)
        return protocol


@implementer(IHandshakeListener)
class _Link(Protocol):
    """
    A connection, on its way to whom it is for.

    @ivar ready: fires when the peer has proved who it is, or, without TLS, at once.
    """

    transport: Any

    def __init__(self) -> None:
        self.ready: Deferred[None] = Deferred()
        self._protocol: IProtocol | None = None
        self._early: list[bytes] = []
        self._isOpen = True

    def connectionMade(self) -> None:
        if not ISSLTransport.providedBy(self.transport):
            self.ready.callback(None)

    def handshakeCompleted(self) -> None:
        self.ready.callback(None)

    def handOver(self, protocol: IProtocol) -> None:
        """From now on it is this one's."""
        self._protocol = protocol
        transport: ITransport = self.transport
        protocol.makeConnection(transport)
        early, self._early = self._early, []
        for data in early:
            protocol.dataReceived(data)

    def certificate(self) -> bytes | None:
        """The peer's, in DER."""
        shown = self.transport.getPeerCertificate()
        return None if shown is None else bytes(crypto.dump_certificate(crypto.FILETYPE_ASN1, shown))

    def abort(self) -> None:
        """End it."""
        if self._isOpen:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._protocol is None:
            self._early.append(data)
        else:
            self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._isOpen = False
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
        elif not self.ready.called:
            self.ready.errback(reason if reason.check(ConnectionDone) is None else Failure(_Closed()))


class _Closed(Exception):
    """The server closed the connection before it was ready."""

    def __str__(self) -> str:
        return "the server closed the connection at once"
