import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default {
  mode: 'production',
  entry: here('main.ts'),
  output: { path: here('build'), filename: 'main.js' },
  resolve: { extensions: ['.ts', '.js'] },
  module: { rules: [{ test: /\.ts$/, loader: 'ts-loader', options: { configFile: here('tsconfig.json'), compilerOptions: { noEmit: false } } }] },
};
