"""The tree of an OPC UA server's nodes, for commissioning."""

from collections.abc import Sequence
from typing import NamedTuple

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

NODES_BROWSED = 20_000


class Variable(NamedTuple):
    """A variable of a server: its namespace, its id without the namespace (as profiles write it), its name, its value now."""

    namespace_uri: str
    node: str
    name: str
    value: object


async def browse(client: Client, namespaces: Sequence[str], most: int, nodes_at_once: int) -> list[Variable]:
    """Breadth first through hierarchical references; the standard's own namespace is left out."""
    waiting, seen = [client.nodes.objects.nodeid], {client.nodes.objects.nodeid}
    found: list[tuple[ua.NodeId, str]] = []
    while waiting and len(found) < most:
        batch, waiting = waiting[:100], waiting[100:]
        descriptions = [ua.BrowseDescription(NodeId=node, **_FORWARD) for node in batch]
        parameters = ua.BrowseParameters(NodesToBrowse=descriptions)
        results = await client.uaclient.browse(parameters)
        while results:
            for reference in (reference for result in results for reference in result.References or ()):
                node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType)
                if node in seen or not node.NamespaceIndex:
                    continue
                seen.add(node)
                waiting.append(node)
                if reference.NodeClass == ua.NodeClass.Variable:
                    found.append((node, reference.DisplayName.Text or reference.BrowseName.Name or ""))
            points = [result.ContinuationPoint for result in results if result.ContinuationPoint]
            following = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=points)
            results = await client.uaclient.browse_next(following) if points else []
    found = found[:most]
    values: list[ua.DataValue] = []
    for at in range(0, len(found), nodes_at_once):
        values += await client.uaclient.read_attributes([node for node, _ in found[at : at + nodes_at_once]], AttributeIds.Value)
    return [_variable(node, name, value, namespaces) for (node, name), value in zip(found, values, strict=True)]


_FORWARD = {
    "BrowseDirection": ua.BrowseDirection.Forward,
    "ReferenceTypeId": ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
    "IncludeSubtypes": True,
    "NodeClassMask": ua.UInt32(ua.NodeClass.Object | ua.NodeClass.Variable),
    "ResultMask": ua.UInt32(ua.BrowseResultMask.All),
}


def _variable(node: ua.NodeId, name: str, value: ua.DataValue, namespaces: Sequence[str]) -> Variable:
    uri = namespaces[node.NamespaceIndex] if node.NamespaceIndex < len(namespaces) else f"namespace {node.NamespaceIndex}"
    return Variable(uri, node.to_string().partition(";")[2], name, value.Value.Value if value.Value is not None else None)
