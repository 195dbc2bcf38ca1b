import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, type Plugin } from 'esbuild'

/** They play whole histories, for seconds: too long to be asked of thousands of mutants. */
const tooLong = /\/(game|growth)\.property\.test\.ts$/

/** All tests of the scheduler below `root` in one CommonJS script, packages left out. */
export async function bundleOfTests(root: string): Promise<string> {
  const inRoom = readdirSync(join(root, 'src/scheduler'), { recursive: true, encoding: 'utf8' })
  const files = [
    ...inRoom.map((name) => join('src/scheduler', name)),
    ...readdirSync(join(root, 'test/cases')).map((name) => join('test/cases', name)),
    'test/scenarios.test.ts',
  ].filter((name) => name.endsWith('.test.ts') && !tooLong.test(name))
  const { outputFiles } = await build({
    stdin: { contents: files.map((name) => `import './${name}'`).join('\n'), resolveDir: root },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'error',
    plugins: [knowsItsFolder],
  })
  return outputFiles[0]?.text ?? ''
}

/** A file finds what lies beside it, and tests say where they stand, also from within a bundle. */
const knowsItsFolder: Plugin = {
  name: 'knows its folder',
  setup({ onLoad }) {
    onLoad({ filter: /\.test\.ts$|\/test\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8').replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
      const said = path.endsWith('.test.ts') ? `import { inFile } from 'vitest'; inFile(${JSON.stringify(path)});` : ''
      return { contents: said + text, loader: 'ts' }
    })
  },
}
