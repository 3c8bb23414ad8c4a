// What Tributary does until it asks for its first event, in JavaScript: the secret over TLS, Postgres by TLS and SCRAM.
import fs from "node:fs";
import http from "node:http";

import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import pg from "pg";

const answer = await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: process.env.SECRET }));
const secret = JSON.parse(answer.SecretString);
const client = new pg.Client({
  host: secret.host,
  port: secret.port,
  user: secret.username,
  password: secret.password,
  database: secret.dbname,
  ssl: { ca: fs.readFileSync(process.env.DATABASE_ROOTS, "utf8") },
});
await client.connect();

http.get(`http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next`);
