// Every test of the template in one process, so that each stage is synthesized once.
import "./permissions.test.ts";
import "./template.test.ts";
import "./state-machines.test.ts";
import "./nag.test.ts";
