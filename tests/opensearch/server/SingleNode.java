import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One OpenSearch node on loopback, for tests: `java -cp 'JARS/*' SingleNode.java FOLDER PORT`. Prints "ready", and ends
 * when its standard input does, so that it does not outlive the tests.
 */
public class SingleNode {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[1]);
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(port + 1); // the runner tries ports from the base's next one up to this
        runner.onBuild((number, settings) -> {
            settings.put("discovery.type", "single-node");
            settings.putList("discovery.seed_hosts");
            settings.put("network.host", "127.0.0.1");
            settings.put("http.cors.enabled", false);
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        runner.build(
            OpenSearchRunner.newConfigs()
                .basePath(arguments[0])
                .numOfNode(1)
                .baseHttpPort(port - 1)
                .clusterName("sockwarden-tests")
                .useLogger());
        runner.ensureYellow();
        System.out.println("ready");
        System.out.flush();
        while (System.in.read() >= 0) {}
        runner.close();
    }
}
