import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A service that answers every question with the same words, as OpenAI streams them; the path of its file. */
export function writeEchoService(dir: string, name: string, namespace = 'default', answer = 'well met'): string {
  const script = join(dir, `${name}.mjs`)
  writeFileSync(
    script,
    `import { createServer } from 'node:http'
createServer((request, response) => {
  request.resume()
  if (request.url === '/health') return response.end('ok')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const piece = { id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: ${JSON.stringify(answer)} } }] }
  response.end('data: ' + JSON.stringify(piece) + '\\n\\ndata: [DONE]\\n\\n')
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listens'))
`,
  )
  const file = join(dir, `${name}.yaml`)
  writeFileSync(
    file,
    `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  command: [${JSON.stringify(process.execPath)}, ${JSON.stringify(script)}, $(PORT)]
  readinessProbe: {httpGet: {path: /health, port: PORT}}
  minReplicas: 1
  maxReplicas: 1
`,
  )
  return file
}
