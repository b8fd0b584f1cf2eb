"""Three gateways on one ledger in PostgreSQL, HAProxy before them, and what becomes of it when some of them end.

    make cluster-demo

All of it runs on this machine, and nothing of it is left afterwards. Payers make deposits through HAProxy, each under
a key of its own; a follower at each gateway hears the events. One gateway is killed (C{kill -9}) in the midst of that
and started again, another is told to end (SIGTERM) and started again. Then it is held against each other what the
payers were told, what the followers heard, what each gateway has in its log, and what C{scalemgr verify} and
C{scalemgr reconcile} find. The exit status is 0 if all of it agrees; 1: it does not, or it could not be seen; 2:
something is missing here, and nothing was started.

PostgreSQL is the one that C{SCALEMGR_POSTGRES} names, with the C{postgresql://} URL of a database and of somebody who
may make schemas there; else that on port 5432, if it lets user postgres in without a password; else one that is started
for the purpose. The ledger has a schema of its own there.

  - L{examples.cluster.story}: what happens, in order
  - L{examples.cluster.people}: payers and followers
  - L{examples.cluster.checks}: what is held against each other
  - L{examples.cluster.gateways}, L{examples.cluster.balancer}, L{examples.cluster.database}: what it happens to
"""
