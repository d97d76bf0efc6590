"""Records of the site's names that are not this stack's: visitors would be split between two servers."""

from __future__ import annotations

from collections.abc import Sequence

from components.edge import marker, record_name
from components.lookup import LookupFailed, asking
from components.sdk import GetDnsRecordsNameArgs, get_dns_records

_ADDRESSES = ("A", "AAAA", "CNAME")


def refuse_other_records(edge: str, *, zone_id: str, hostnames: Sequence[str]) -> None:
    """Raises LookupFailed, a line for each such record. `edge` is the name of the Edge that is to make records.

    Cloudflare itself refuses a record only beside a CNAME, and one that is the same; two A records it takes. A record
    is the stack's own by its comment: that is also how a user marks one that he imports.
    """
    lines: list[str] = []
    for hostname in hostnames:
        with asking(f"site: the records of {hostname}", "let CLOUDFLARE_API_TOKEN read the zone's DNS"):
            found = get_dns_records(zone_id=zone_id, name=GetDnsRecordsNameArgs(exact=hostname)).results
        for record in found:
            kind = str(record.type)
            if kind not in _ADDRESSES or record.comment == marker():
                continue
            do = "delete it"
            if kind != "CNAME":
                own = f"cloudflare:index/dnsRecord:DnsRecord {record_name(edge, hostname, kind)}"
                do += (
                    f", or take it over: write `{marker()}` as its comment in Cloudflare's dashboard, and run "
                    f"`pulumi import --protect=false {own} {zone_id}/{record.id}`"
                )
            lines.append(
                f"site: {hostname} has the {kind} record {record.content}, which is not this stack's; do: {do}"
            )
    if lines:
        raise LookupFailed("\n".join(lines))
