import com.hivemq.embedded.EmbeddedExtension;
import com.hivemq.embedded.EmbeddedHiveMQ;
import com.hivemq.extension.sdk.api.ExtensionMain;
import com.hivemq.extension.sdk.api.auth.PublishAuthorizer;
import com.hivemq.extension.sdk.api.auth.SimpleAuthenticator;
import com.hivemq.extension.sdk.api.auth.parameter.PublishAuthorizerInput;
import com.hivemq.extension.sdk.api.auth.parameter.PublishAuthorizerOutput;
import com.hivemq.extension.sdk.api.packets.publish.AckReasonCode;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartOutput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopOutput;
import com.hivemq.extension.sdk.api.packets.disconnect.DisconnectReasonCode;
import com.hivemq.extension.sdk.api.services.Services;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * HiveMQ CE with its configuration in {@code conf/config.xml} of the folder it is given, open to every client.
 *
 * <p>Each line of the folder's file {@code denied} is a way of refusing, {@code puback} or {@code disconnect}, and a
 * prefix of topics to which it applies; the file is read for every message.
 */
public final class Broker {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        for (String name : new String[] {"data", "extensions"}) {
            Files.createDirectories(folder.resolve(name));
        }
        EmbeddedHiveMQ broker = EmbeddedHiveMQ.builder()
                .withConfigurationFolder(folder.resolve("conf"))
                .withDataFolder(folder.resolve("data"))
                .withExtensionsFolder(folder.resolve("extensions"))
                .withEmbeddedExtension(EmbeddedExtension.builder()
                        .withId("rights")
                        .withName("rights")
                        .withVersion("1")
                        .withExtensionMain(new Rights(folder.resolve("denied")))
                        .build())
                .build();
        broker.start().join();
        System.out.println("the broker is running");
        Thread.currentThread().join();
    }

    private static final class Rights implements ExtensionMain, PublishAuthorizer {
        private final Path denied;

        Rights(Path denied) {
            this.denied = denied;
        }

        @Override
        public void extensionStart(ExtensionStartInput input, ExtensionStartOutput output) {
            SimpleAuthenticator open = (in, out) -> out.authenticateSuccessfully();
            Services.securityRegistry().setAuthenticatorProvider(in -> open);
            Services.securityRegistry().setAuthorizerProvider(in -> this);
        }

        @Override
        public void extensionStop(ExtensionStopInput input, ExtensionStopOutput output) {}

        @Override
        public void authorizePublish(PublishAuthorizerInput input, PublishAuthorizerOutput output) {
            switch (wayFor(input.getPublishPacket().getTopic())) {
                case "puback" -> output.failAuthorization(AckReasonCode.NOT_AUTHORIZED);
                case "disconnect" -> output.disconnectClient(DisconnectReasonCode.NOT_AUTHORIZED);
                default -> output.authorizeSuccessfully();
            }
        }

        private String wayFor(String topic) {
            try {
                for (String line : Files.exists(denied) ? Files.readAllLines(denied) : java.util.List.<String>of()) {
                    String[] words = line.split(" ");
                    if (topic.startsWith(words[1])) {
                        return words[0];
                    }
                }
                return "";
            } catch (IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }
    }
}
