import { defineConfig } from "vite";

// The client library by itself, as one module for browsers and Node, dist/client/events-client.js; in the mode "worker"
// the script of its SharedWorker, events-worker.js beside it, for pages that have no bundler.
export default defineConfig(({ mode }) => {
  const [entry, name] = mode === "worker" ? ["worker", "events-worker.js"] : ["index", "events-client.js"];
  return {
    publicDir: false,
    build: {
      target: "es2022",
      outDir: "dist/client",
      emptyOutDir: mode !== "worker",
      lib: { entry: `src/core/${entry}.ts`, formats: ["es"], fileName: () => name },
    },
  };
});
