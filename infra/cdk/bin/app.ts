// Synthesizes Matricula's template: run by the CDK command (cdk.json), or by itself with CDK_OUTDIR and CDK_CONTEXT_JSON.
import { matriculaApp } from "../lib/app.ts";

matriculaApp();
