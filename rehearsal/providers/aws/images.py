"""aws:ssm:getParameter, for the images that Debian publishes."""

from __future__ import annotations

from rehearsal.providers.account import authenticate
from rehearsal.providers.aws import catalog
from rehearsal.providers.base import ApiError, Function, Props


class GetParameter(Function):
    token = "aws:ssm/getParameter:getParameter"

    def invoke(self, args: Props) -> Props:
        authenticate("aws")
        name, region = args["name"], catalog.region(args)
        value = catalog.image(name, region)
        if value is None:
            raise ApiError(
                f"couldn't find resource: ParameterNotFound: {name}; rehearsed ones: "
                "/aws/service/debian/release/13/latest/amd64 and …/arm64"
            )
        return {
            "id": name,
            "name": name,
            "region": region,
            "withDecryption": args.get("withDecryption") is not False,
            "arn": f"arn:aws:ssm:{region}::parameter{name}",
            "type": "String",
            "value": value,
            "insecureValue": value,
            "version": 1,
        }
