// airtable-mcp-server from npm, with its service pointed at a server of ours.
// leader.mjs BASE_URL stdio|http [KEY]; prints the port it listens on to standard error.
import express from 'express';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { AirtableService, createServer } from 'airtable-mcp-server';

const [baseUrl, kind, key = 'patBench'] = process.argv.slice(2);
const airtableService = new AirtableService(key, baseUrl);
if (kind === 'stdio') {
  await createServer({ airtableService }).connect(new StdioServerTransport());
} else {
  const app = express();
  app.use(express.json({ limit: '20mb' }));
  app.post('/mcp', async (request, response) => {
    const server = createServer({ airtableService });
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  const listener = app.listen(0, '127.0.0.1', () => console.error(`port ${listener.address().port}`));
}
