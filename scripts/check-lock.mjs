// Proves what the README promises of the lock: it installs with npm 10 and npm 11, and holds the prebuilt binaries for
// Linux and macOS. Each npm runs in a folder of its own with a dry run of `npm ci`, which refuses a lock that misses entries.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const names = Object.keys(lock.packages)
const wanted = [
  '@lmdb/lmdb-linux-x64',
  '@lmdb/lmdb-linux-arm64',
  '@lmdb/lmdb-darwin-arm64',
  '@lmdb/lmdb-darwin-x64',
  '@esbuild/linux-x64',
  '@esbuild/darwin-arm64',
  '@biomejs/cli-linux-x64',
  '@biomejs/cli-darwin-arm64',
  '@node-llama-cpp/linux-x64',
  '@node-llama-cpp/linux-arm64',
  '@node-llama-cpp/mac-arm64-metal',
  '@node-llama-cpp/mac-x64',
]
const missing = wanted.filter((name) => !names.some((path) => path.endsWith(`node_modules/${name}`)))
if (missing.length > 0) fail(`package-lock.json lacks ${missing.join(', ')}`)
if (/"resolved":\s*"(?!https:\/\/registry\.npmjs\.org\/)/.test(JSON.stringify(lock)))
  fail('package-lock.json names another host than the public registry')

for (const npm of ['npm@10', 'npm@11']) {
  const folder = mkdtempSync(join(tmpdir(), 'millwright-lock-'))
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) copyFileSync(file, join(folder, file))
    execFileSync('npx', ['--yes', npm, 'ci', '--dry-run', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    console.log(`${npm}: npm ci accepts the lock`)
  } catch (error) {
    fail(`${npm} refuses the lock:\n${error.stderr ?? error}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
