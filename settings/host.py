"""The machine: a droplet or an EC2 instance."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo
from pydantic import field_validator as validates

from settings.fields import Refused, shown
from settings.section import Section

OnBootstrapChange = Annotated[
    Literal["replace", "ignore"],
    Field(
        description="What a change of the machine's first boot does: `replace` builds a new machine beside the old "
        "one and moves the site to it, `ignore` leaves it for the next new machine."
    ),
]
# The clouds add regions and sizes all the time: only their form is known here, their own answer decides.
_DROPLET_REGION = r"[a-z]{3}[0-9]"
_DROPLET_SIZE = r"[a-z][a-z0-9_]*(-[a-z0-9_]+)+"
_EC2_REGION = r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]"
_EC2_SIZE = r"[a-z][a-z0-9-]*\.[a-z0-9-]+"


class Droplet(Section):
    """A DigitalOcean droplet. It has IPv4 and IPv6."""

    cloud: Literal["digitalocean"] = Field(description="The cloud.")
    region: str = Field(
        default="fra1",
        pattern=f"^{_DROPLET_REGION}$",
        description="The datacenter.",
        examples=["fra1", "nyc3"],
    )
    size: str = Field(
        default="s-1vcpu-1gb",
        pattern=f"^{_DROPLET_SIZE}$",
        description="The droplet's size, as `doctl compute size list` names it.",
        examples=["s-1vcpu-1gb", "c-2"],
    )
    architecture: Literal["amd64"] = Field(default="amd64", description="The processor; droplets have no other.")
    on_bootstrap_change: OnBootstrapChange = "replace"

    @validates("region", "size", mode="before")
    @classmethod
    def _of_this_cloud(cls, value: object, info: ValidationInfo) -> object:
        aws = f"{_EC2_REGION}[a-f]?" if info.field_name == "region" else _EC2_SIZE
        if isinstance(value, str) and re.fullmatch(aws, value):
            raise Refused(
                f"{shown(value)} is AWS's name",
                allowed=f"DigitalOcean's, like {cls.model_fields[str(info.field_name)].default}",
                do="change it or set host.cloud to aws",
            )
        return value


def architecture_of(size: str) -> Literal["amd64", "arm64"]:
    """The processor of an EC2 instance type: Graviton has a g after the generation (t4g, c7gn, im4gn), or is a1.

    https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    match = re.match(r"([a-z]+[0-9]+)([a-z]*)(-gb)?", size)
    return "arm64" if match and ("g" in match[2] or match[3] or match[1] == "a1") else "amd64"


class Ec2(Section):
    """An EC2 instance. It has a public IPv4 address, and IPv6 where its subnet has it."""

    cloud: Literal["aws"] = Field(description="The cloud.")
    region: str = Field(
        default="eu-central-1",
        pattern=f"^{_EC2_REGION}$",
        description="The region.",
        examples=["eu-central-1", "us-east-1"],
    )
    size: str = Field(
        default="t3.micro",
        pattern=f"^{_EC2_SIZE}$",
        description="The instance type.",
        examples=["t3.micro", "t4g.small"],
    )
    architecture: Literal["amd64", "arm64"] = Field(
        default_factory=lambda known: architecture_of(known["size"]),
        description="The processor. Without it the one that `size` has.",
    )
    vpc_id: str | None = Field(
        default=None,
        pattern=r"^vpc-[0-9a-f]{8,17}$",
        description="The network. Without it the account's default VPC.",
        examples=["vpc-0a1b2c3d4e5f60718"],
    )
    subnet_id: str | None = Field(
        default=None,
        pattern=r"^subnet-[0-9a-f]{8,17}$",
        description="The subnet, which must be public. Without it the first one of the network.",
        examples=["subnet-0a1b2c3d4e5f60718"],
    )
    on_bootstrap_change: OnBootstrapChange = "replace"

    @validates("region", "size", mode="before")
    @classmethod
    def _of_this_cloud(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if re.fullmatch(_DROPLET_REGION if info.field_name == "region" else _DROPLET_SIZE, value):
            raise Refused(
                f"{shown(value)} is DigitalOcean's name",
                allowed=f"AWS's, like {cls.model_fields[str(info.field_name)].default}",
                do="change it or set host.cloud to digitalocean",
            )
        if info.field_name == "region" and re.fullmatch(f"{_EC2_REGION}[a-f]", value):
            raise Refused(f"{shown(value)} is an availability zone", allowed="a region", do=f"write {value[:-1]}")
        return value

    @validates("architecture")
    @classmethod
    def _of_the_size(cls, value: str, info: ValidationInfo) -> str:
        size = info.data.get("size")
        if size and value != architecture_of(size):
            raise Refused(f"{shown(value)} is not what {size} has", allowed=architecture_of(size), do="remove the line")
        return value
