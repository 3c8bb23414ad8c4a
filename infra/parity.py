"""Whether the template, the Terraform module, the dashboard and the README say the same. Run by `check`, in its Python."""

import re
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse

HERE = Path(__file__).resolve().parent
# What only one of the two can have: a list in place of numbered parameters, a function URL, and where the code is.
ONLY_IN_TEMPLATE = {"stream_arn", "stream_arn2", "stream_arn3", "webhook_front"}
ONLY_IN_MODULE = {"name", "package_folder", "stream_arns"}
# In the layer, or in the package.
OTHER_DEFAULT = {"mapping_file"}


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def plain(value):
    """A default in one spelling, whoever wrote it."""
    text = str(value).strip().strip('"').replace("`", "")
    return {"null": "", "[]": "", "–": "", "True": "true", "False": "false", "on": "true", "off": "false"}.get(text, text)


def variables(folder):
    text = (folder / "variables.tf").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.S | re.M)
    default = re.compile(r"^  default\s+= (.*)$", re.M)
    return {name: plain(found[1]) if (found := default.search(body)) else None for name, body in blocks}


def rows(readme):
    """Parameter and default of each row of the README's table."""
    found = re.findall(r"^\| `(\w+)` \| `?(\w+)`? \| ([^|]*) \|", readme, re.M)
    return {parameter: plain(default) for parameter, _, default in found}


def functions(template):
    """The functions of the template by name, with their code, and the resources that bear such a name."""
    of_type = "AWS::Serverless::Function"
    found = (resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == of_type)
    return {properties["CodeUri"].rsplit("/", 1)[1]: properties for properties in found}


def variables_of(properties):
    return set(properties.get("Environment", {}).get("Variables", {}))


def metrics(template, names):
    """What the alarms watch, without the names of functions, which the module puts together."""
    alarms = (resource for resource in template["Resources"].values() if resource["Type"] == "AWS::CloudWatch::Alarm")
    watched = {alarm["Properties"]["MetricName"] for alarm in alarms}
    ours = "|".join(sorted(names))
    return {re.sub(f"^({ours})-", "", metric) for metric in watched}


def main():
    template = yaml_parse((HERE / "template.yaml").read_text())
    parameters = {name: plain(of.get("Default", "")) for name, of in template["Parameters"].items()}
    findings = []

    body = template["Resources"]["DashboardOfAll"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    if body != (HERE / "dashboard.json").read_text():
        findings.append("the dashboard in template.yaml is not dashboard.json: paste it anew")

    module = variables(HERE / "terraform")
    snakes = {snake(name): default for name, default in parameters.items()}
    for name in sorted(snakes.keys() - module.keys() - ONLY_IN_TEMPLATE):
        findings.append(f"the module has no variable {name}")
    for name in sorted(module.keys() - snakes.keys() - ONLY_IN_MODULE):
        findings.append(f"the template has no parameter for {name}")
    for name in sorted((snakes.keys() & module.keys()) - OTHER_DEFAULT):
        if snakes[name] != module[name]:
            findings.append(f"{name} is {snakes[name]!r} by default in the template and {module[name]!r} in the module")

    source = "\n".join(file.read_text() for file in sorted((HERE / "terraform").glob("*.tf")))
    readme = (HERE / "README.md").read_text()
    there = {manifest.parent.name for manifest in HERE.parent.glob("functions/*/Cargo.toml")}
    deployed = functions(template)
    for name in sorted(there ^ deployed.keys()):
        findings.append(f"{name} stands only in {'functions/' if name in there else 'template.yaml'}")
    names_of_dashboard = str(template["Resources"]["DashboardOfAll"]["Properties"]["DashboardBody"]["Fn::Sub"][1])
    for name in sorted(deployed):
        # Where the module has one function by itself, its name is in one piece too.
        if not re.search(rf'(^    {name} = {{|\$\{{var.name\}}-{name}")', source, re.M):
            findings.append(f"the module has no function {name}")
        if f"(../functions/{name})" not in readme:
            findings.append(f"README.md says nothing of the function {name}")
        if names_of_dashboard.count(f"-{name}") != 2:
            findings.append(f"{name} is not on the dashboard, or not in both its lists")

    ours = set().union(variables_of(template["Globals"]["Function"]), *map(variables_of, deployed.values()))
    theirs = set(re.findall(r"\b((?:TRIBUTARY|DATABASE)_[A-Z_]+)\s*=", source))
    for name in sorted(ours ^ theirs):
        findings.append(f"functions get {name} only from {'the template' if name in ours else 'the module'}")

    for metric in sorted(metrics(template, deployed)):
        if not re.search(rf'(["-]{metric}"|^    {metric} = {{)', source, re.M):
            findings.append(f"the module has no alarm on {metric}")

    documented = rows(readme)
    for name in sorted(parameters.keys() ^ documented.keys()):
        findings.append(f"{name} stands only in {'template.yaml' if name in parameters else 'README.md'}")
    for name in sorted(parameters.keys() & documented.keys()):
        if parameters[name] != documented[name]:
            findings.append(f"{name} is {parameters[name]!r} by default, and README.md says {documented[name]!r}")

    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    for name in sorted(parameters.keys() ^ set(grouped)):
        findings.append(f"{name} is in no group of parameters, or is none")

    for finding in findings:
        print(finding, file=sys.stderr)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
