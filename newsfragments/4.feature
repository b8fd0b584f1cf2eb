Everything about money and accounts: withdrawals, credit, taking back, requests that await approval; accounts and groups
that change and go; tables, filters and statements; `balance:event`; permissions in tokens; users who see their own
account; `docs/protocol.md`, made from the declarations.
